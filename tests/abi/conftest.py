"""Property tests run on shared machines: a slow example is not a failure."""

from hypothesis import settings

settings.register_profile("whamm-cm", deadline=None)
settings.load_profile("whamm-cm")
