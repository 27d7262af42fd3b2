"""Where and how tensors are computed: device, precision, memory layout, seeds, checkpoints."""
