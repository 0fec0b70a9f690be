"""Plain TRL computes the head itself: where that is not what the model computes, nothing is trained."""

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MixtralConfig, ModernBertDecoderConfig

from training.contract.errors import ModelError
from training.engine.models.experts import name_experts
from training.engine.trainers.plain_trl import check_head, check_padding

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 96}
IDS = [5, 17, 33, 60, 2, 9, 41]


def with_fused_head(config, **changes):
    from trl.trainer.utils import add_fused_lm_head

    torch.manual_seed(1)
    for name, value in changes.items():
        setattr(config, name, value)
    model = AutoModelForCausalLM.from_config(config)
    add_fused_lm_head(model)
    return model


def test_a_usual_head_passes():
    model = with_fused_head(LlamaConfig(**SIZES)).train()
    check_head(model, IDS)
    assert model.training


def test_a_layer_before_the_head_is_refused():
    config = ModernBertDecoderConfig(**SIZES, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1)
    model = with_fused_head(config)
    for parameter in model.lm_head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    with pytest.raises(ModelError, match="layer between its last block and its head"):
        check_head(model, IDS)


def test_a_model_that_reads_padding_as_text_is_refused():
    """CPM-Ant takes the last tokens of a line for the text, wherever the padding is."""
    from transformers import CpmAntConfig

    model = with_fused_head(
        CpmAntConfig(
            vocab_size=96,
            hidden_size=32,
            num_attention_heads=4,
            dim_head=8,
            dim_ff=64,
            num_hidden_layers=2,
            init_std=0.5,
        )
    )
    check_head(model, IDS)
    with pytest.raises(
        ModelError, match=r"where it is padded beside a longer text.*train another model, or batch_size"
    ):
        check_padding(model, IDS, 0, ", or batch_size 1")
    check_padding(with_fused_head(LlamaConfig(**SIZES)), IDS, 0)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_head_that_is_scaled_where_trl_does_not_know_is_refused(factor):
    model = with_fused_head(LlamaConfig(**SIZES))
    model.lm_head.register_forward_hook(lambda module, args, output: factor * output)
    with torch.no_grad():
        model.lm_head.weight.mul_(20)
    with pytest.raises(ModelError, match="differ from the model's own"):
        check_head(model, IDS)


def test_a_head_without_weights_is_named():
    model = with_fused_head(LlamaConfig(**SIZES))
    model.get_output_embeddings = lambda: None
    with pytest.raises(ModelError, match="TRL cannot compute llama: AttributeError"):
        check_head(model, IDS)


def test_experts_have_the_name_that_trl_reads():
    class Renamed(MixtralConfig):
        attribute_map = {}

    config = Renamed(**SIZES, num_local_experts=6)
    if not hasattr(config, "num_experts"):
        name_experts(config)
        assert config.num_experts == 6
        assert "num_experts" not in config.to_dict()
    model = with_fused_head(
        MixtralConfig(**SIZES, num_key_value_heads=2, num_local_experts=4), output_router_logits=True
    )
    check_head(model, IDS)
