"""The generator: model sizes, the sampler that decodes them, and their training."""
