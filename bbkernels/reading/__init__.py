"""The reading head's places in the native library; the reference is the loop of `builderbrain.rail.reading`."""
