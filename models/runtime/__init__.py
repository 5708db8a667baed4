"""How each kind of networks runs on a device. `models.runtime.renderer` is the way in."""
