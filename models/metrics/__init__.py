"""Image quality metrics: PSNR, SSIM and VGG16-based distances."""
