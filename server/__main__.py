"""Start the server: `python -m server --help`.

Render processes import this module again as they start, so it imports the server only as a program:
otherwise each of them would spend 2 s of processor time on a web framework that it never uses.
"""

import sys

if __name__ == "__main__":
    from server.command import main

    sys.exit(main(sys.argv[1:]))
