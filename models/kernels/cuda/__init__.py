"""The live path as Triton kernels, from pose to NV12, for NVIDIA GPUs.

`live_path.py` launches them in order; each kernel names its reference implementation. Needs the
package triton, which torch's CUDA build brings along; nothing outside of this folder imports it.
"""
