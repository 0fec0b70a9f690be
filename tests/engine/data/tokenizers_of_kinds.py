"""Small tokenizers of the kinds that models have, made here: nothing is downloaded."""

from tests.engine.conftest import TINY, assistant, chat, user

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
)
WORDS = ["<unk>", "<s>", "</s>", "<pad>", "a", "b", "the", "pool", "was", "fine", "good", "<", "/", "s", ">", "|", "im"]


def byte_level(template: str = CHATML, **special):
    """BPE over bytes (GPT-2, Qwen, Llama 3)."""
    from training.engine import pretrain

    documents = [[*user(review), *assistant(formal + casual)] for review, formal, casual in map(chat, range(30))]
    tokenizer = pretrain.make_tokenizer(documents, TINY)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]} | special)
    tokenizer.chat_template = template
    return tokenizer


def sentencepiece_like(template: str = LLAMA, post: str = ""):
    """BPE with byte fallback and a beginning of text (Llama 2, Mistral); `post`: "eos" appends the end of text."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    special = ["<unk>", "<s>", "</s>", "<pad>", *(f"<0x{byte:02X}>" for byte in range(256))]
    texts = [text for number in range(30) for text in chat(number)] + ["[INST] good day [/INST] </s> <s>"]
    backend.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=500, special_tokens=special[:4]))
    state = backend.to_str()
    backend = Tokenizer.from_str(state)
    backend.decoder = decoders.ByteFallback()
    end = " </s>" if post == "eos" else ""
    backend.post_processor = processors.TemplateProcessing(
        single=f"<s> $A{end}", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )
    tokenizer.chat_template = template
    return tokenizer


def word_level(template: str = LLAMA):
    """Whole words: what it does not know is <unk>."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )
    tokenizer.chat_template = template
    return tokenizer


KINDS = {"byte level": byte_level, "sentencepiece": sentencepiece_like, "words": word_level}


def prepared(tokenizer, rows, purpose="sft", **options):
    """Sequences and counts of the rows."""
    from training.engine.data.prepare import training_sequences

    options = {"max_length": 400, "stop_ids": stops(tokenizer), "where": "train.parquet", **options}
    return training_sequences(rows, tokenizer, purpose=purpose, **options)


def stops(tokenizer) -> set[int]:
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    return {tokenizer.eos_token_id} | ({end} if end not in (None, tokenizer.unk_token_id) else set())
