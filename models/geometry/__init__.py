"""Camera conventions, the parametric head, rasterizers and reprojection."""
