"""The networks in plain torch: ours and the paper's, with their inputs and forms of warp."""
