"""A program of its own, so that the web tests' process stays free of torch: read frozen datasets with
`datasets.load_dataset` and take one step with each of TRL's own trainers, all untouched.

    python read_with_trl.py '{"sft-standard": FOLDER, …}' OUTPUT_FOLDER

Prints {"sft-standard": loss, …} as its last line.
"""

import json
import sys

import torch
from datasets import load_dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer

TRAINERS = {"sft": (SFTTrainer, SFTConfig), "dpo": (DPOTrainer, DPOConfig), "kto": (KTOTrainer, KTOConfig)}
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: n for n, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>")
    fast.add_special_tokens({"additional_special_tokens": ["<|system|>", "<|user|>", "<|assistant|>"]})
    fast.chat_template = TEMPLATE
    return fast


def random_llama(vocabulary: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, max_position_embeddings=512, **shape))


def main() -> None:
    folders, output = json.loads(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(1)
    tokenizer = byte_tokenizer()
    losses = {}
    for name, folder in folders.items():
        files = {split: f"{folder}/{split}.parquet" for split in ("train", "held_out")}
        data = load_dataset("parquet", data_files=files, cache_dir=f"{output}/cache")
        lines = {split: f"{folder}/{split}.jsonl" for split in ("train", "held_out")}
        same = load_dataset("json", data_files=lines, cache_dir=f"{output}/cache")
        assert same["train"].to_list() == data["train"].to_list()
        trainer_class, config_class = TRAINERS[name.partition("-")[0]]
        config = config_class(
            output_dir=f"{output}/{name}",
            max_steps=1,
            per_device_train_batch_size=4,
            per_device_eval_batch_size=4,
            learning_rate=1e-4,
            bf16=False,
            gradient_checkpointing=False,
            max_length=512,
            report_to=[],
            save_strategy="no",
            eval_strategy="steps",
            eval_steps=1,
            logging_steps=1,
            use_cpu=True,
            disable_tqdm=True,
        )
        # TRL would load the reference from the model's folder; this model has none.
        reference = {} if config_class is SFTConfig else {"ref_model": random_llama(len(tokenizer))}
        trainer = trainer_class(
            model=random_llama(len(tokenizer)),
            args=config,
            train_dataset=data["train"],
            eval_dataset=data["held_out"],
            processing_class=tokenizer,
            **reference,
        )
        losses[name] = trainer.train().training_loss
    print(json.dumps(losses))


main()
