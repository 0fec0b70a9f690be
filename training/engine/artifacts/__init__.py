"""What a run leaves behind: `checkpoints` to resume from, and `publishing` of model/ with lineage and `model_card`.

Folders are written under another name, synced to disk and renamed: they are complete or absent.
"""
