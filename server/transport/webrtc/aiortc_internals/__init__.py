"""All uses of private parts of aiortc and aioice, one file per purpose.

Each file has a test that checks the names and signatures it depends on, so that an upgrade of
aiortc or aioice that changes them fails in the tests instead of at run time.
"""
