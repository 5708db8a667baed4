"""The avatar and its networks: torch, numpy and numba; nothing here knows of servers or the web.

Letters in shape comments:

    B  batch              V  vertices          H, W  rows and columns of the picture
    C  channels           F  triangles         E     expression coefficients
    J  joints             T  texture vertices  n     width of the networks (`network_size`)
"""
