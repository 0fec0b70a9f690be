"""The demonstration: a hotel's concierge, texts written for it, and simulated annotators that say what they are."""
