"""Congestion control of a viewer's connection, from its transport-wide feedback.

After Google's Congestion Control (draft-ietf-rmcat-gcc-02, and libwebrtc, which has moved on from
the draft): an estimate from delays, one from losses, probes and pacing. No module here imports
aiortc or reads a clock: every moment is an argument, seconds of one steady clock.
"""
