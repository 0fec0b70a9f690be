"""Private names of libraries that the engine relies on: an upgrade that renames one fails here, within seconds."""

import inspect

import pytest

pytestmark = pytest.mark.engine


def test_trainer_calls_the_methods_that_whole_checkpoints_replace():
    from transformers import Trainer

    assert list(inspect.signature(Trainer._get_output_dir).parameters) == ["self", "trial"]
    assert list(inspect.signature(Trainer._save_checkpoint).parameters) == ["self", "model", "trial"]
    saving = inspect.getsource(Trainer._save_checkpoint)
    assert "self._get_output_dir(" in saving
    assert "self._save_checkpoint(model, trial)" in inspect.getsource(Trainer)


def test_trl_prepares_datasets_in_the_method_that_the_fallback_replaces():
    from trl import DPOTrainer, KTOTrainer

    for trainer in (DPOTrainer, KTOTrainer):
        assert callable(trainer._prepare_dataset)
        assert "self._prepare_dataset(" in inspect.getsource(trainer.__init__)


def test_trl_computes_losses_and_gathers_in_the_methods_that_rows_once_replaces():
    from trl import DPOTrainer, KTOTrainer

    for trainer in (DPOTrainer, KTOTrainer):
        assert "self._compute_loss(" in inspect.getsource(trainer.compute_loss)
        source = inspect.getsource(trainer._compute_loss)
        assert "self.accelerator.gather_for_metrics(" in source
        assert "accelerate.utils" not in source, "TRL gathers in another way"
    assert inspect.getsource(KTOTrainer._compute_loss).count("self._compute_kl_logps(") == 3


def test_models_name_their_attention_as_the_packed_forward_reads_it():
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=8, **sizes))
    assert model.config._attn_implementation == "sdpa"
    assert model._supports_flex_attn is True
    assert isinstance(torch.cpu._is_amx_tile_supported(), bool)


def test_the_packed_trainers_have_nothing_of_trl_s_trainers():
    from training.engine.trainers.preference import PackedPreferenceTrainer
    from training.engine.trainers.supervised import PackedSupervisedTrainer

    for trainer in (PackedPreferenceTrainer, PackedSupervisedTrainer):
        assert not [parent for parent in trainer.__mro__ if parent.__module__.startswith("trl")]
