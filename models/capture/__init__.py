"""Makes a head and a dataset from a video of a person: tracking, fitting, matting."""
