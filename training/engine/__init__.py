"""The trainers: plain Python programs that know a run directory, but neither Django nor the site.

Programs (`python -m training.engine.<program> RUN_DIR`): pretrain, train_sft, train_dpo, train_kto, generate, evaluate;
merge takes folders. Their rooms: runtime (process and result) · data (rows to token ids) · packed (forward over rows
with a shared prefix) · models (load, merge, quantize) · trainers (the training loop) · inference (scores and texts) ·
artifacts (checkpoints, model folder). Nothing is imported here, so that importing a program does not load torch.
"""
