"""The avatar and its networks, on torch, numpy and numba; imports nothing of `server`.

Letters in shape comments:

    B  batch              V  vertices          H, W  rows and columns of the image
    C  channels           F  triangles         E     expression coefficients
    J  joints             T  texture vertices  n     width of the networks (`network_size`)

Folders import only from those before them: contract, geometry, kernels, networks, avatar, runtime.
"""
