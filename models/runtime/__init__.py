"""How each kind of networks runs on a device. `models.renderer` is the way in."""
