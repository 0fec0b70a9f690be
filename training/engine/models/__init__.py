"""Model folders to models: `checks` (does it fit?) → `loading` (base and adapters), or `quantized` for QLoRA.

`adapter_merge` merges adapters and compares the logits before and after. Only safetensors are loaded, all of them or
none, and never code from a model folder.
"""
