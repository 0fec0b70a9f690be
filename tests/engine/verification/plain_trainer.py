"""A DPO trainer of plain loops, sound by default, with faults that can be switched on: see `faults`.

Two processes are played by one: it divides the rows and adds up the gradients itself.
"""

import copy
import math

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.engine.verification.faults import FAULTS
from training.engine.verification import models, oracle
from training.engine.verification.jobs import CERTAIN, Outcome, Refused

THRESHOLD = math.log(3)
ROPE = ("phi3-longrope", "llama-dynamic")


class PlainTrainer:
    name = "plain loops"

    def __init__(self, *faults):
        assert set(faults) <= set(FAULTS)
        self.faults = faults

    def versions(self):
        return {"torch": torch.__version__}

    # ---- models ----

    def train(self, job):
        return Training(self, job).run()

    def load(self, job):
        model, report = AutoModelForCausalLM.from_pretrained(job.model, dtype=torch.float32, output_loading_info=True)
        odd = [*report["missing_keys"], *report["unexpected_keys"]]
        if odd and "tensors made up" not in self.faults:
            raise Refused(f"{job.model} has missing or unexpected tensors: {sorted(odd)[0]}")
        if not job.adapter:
            return model
        model = PeftModel.from_pretrained(model, job.adapter)
        held = load_file(job.adapter / "adapter_model.safetensors")
        if held.keys() != get_peft_model_state_dict(model).keys() and "tensors made up" not in self.faults:
            raise Refused(f"{job.adapter} has missing or unexpected tensors")
        return model.merge_and_unload()

    def adapted(self, model, lora):
        targets = [name for name in lora.targets if not self.left_out(name)]
        tied = model.config.tie_word_embeddings and "embed_tokens" in targets
        if tied and "tied merged twice" not in self.faults:
            raise Refused("embeddings that are tied to the head cannot have an adapter of their own")
        settings = LoraConfig(
            r=lora.r,
            lora_alpha=lora.alpha,
            target_modules="all-linear" if targets == ["all-linear"] else targets,
            task_type="CAUSAL_LM",
        )
        return get_peft_model(model, settings)

    def left_out(self, module):
        return (module, True) in [
            ("lm_head", "head left out" in self.faults),
            ("embed_tokens", "embeddings left out" in self.faults),
        ]

    def merge(self, outcome, folder):
        model = models.load(outcome.base, outcome.adapters)
        model = model.unload() if "merge forgets" in self.faults else model.merge_and_unload()
        model.save_pretrained(folder)
        models.load_tokenizer(outcome.base).save_pretrained(folder)


class Training:
    """One job."""

    def __init__(self, trainer, job):
        self.faults, self.job, self.settings = trainer.faults, job, job.settings
        torch.manual_seed(job.settings.seed)
        self.tokenizer = models.load_tokenizer(job.model)
        self.policy = trainer.load(job)
        self.reference = copy.deepcopy(self.policy).eval()
        if "base is the reference" in self.faults:
            self.reference = models.load(job.model)
        if self.settings.lora:
            self.policy = trainer.adapted(self.policy, self.settings.lora)
        self.policy.train("dropout on" in self.faults)
        if "adapter frozen" in self.faults:
            self.policy.requires_grad_(False)
            self.policy.get_input_embeddings().weight.requires_grad_(True)
        weights = [parameter for parameter in self.policy.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(weights, lr=1e-3, weight_decay=0.0)
        self.mean_weight = sum(pair.labels.weight for pair in job.pairs) / len(job.pairs)

    def run(self):
        reports = []
        for number, pairs in enumerate(self.steps()):
            if number < self.job.resume_after:
                continue
            if number and number == self.job.resume_after:
                state = torch.load(self.job.folder / f"state-{number}.pt")
                self.policy.load_state_dict(state["model"])
                if "optimizer not resumed" not in self.faults:
                    self.optimizer.load_state_dict(state["optimizer"])
            reports.append(self.step(number, pairs))
            if self.settings.save_every and (number + 1) % self.settings.save_every == 0:
                state = {"model": self.policy.state_dict(), "optimizer": self.optimizer.state_dict()}
                torch.save(state, self.job.folder / f"state-{number + 1}.pt")
        final = self.job.folder / "final"
        self.policy.save_pretrained(final)
        if not self.settings.lora:
            self.tokenizer.save_pretrained(final)
            return Outcome(reports, final)
        return Outcome(reports, self.job.model, (*([self.job.adapter] if self.job.adapter else []), final))

    def steps(self):
        """The rows of each step: every epoch in a new order, its last step shorter."""
        rows = self.settings.batch_size * self.settings.accumulation * self.settings.processes
        generator = torch.Generator().manual_seed(self.settings.seed)
        steps = []
        while len(steps) < self.settings.steps:
            order = torch.randperm(len(self.job.pairs), generator=generator).tolist()
            for start in range(0, len(order), rows):
                step = order[start : start + rows]
                if len(step) == rows or "last rows dropped" not in self.faults:
                    steps.append([self.job.pairs[place] for place in step])
        if "rows repeated" in self.faults and self.settings.processes > 1:
            steps = [(step + list(self.job.pairs))[:rows] for step in steps]
        return steps[: self.settings.steps]

    def step(self, number, pairs):
        self.optimizer.zero_grad()
        size = self.settings.batch_size
        parts = [pairs[start : start + size] for start in range(0, len(pairs), size)]
        own = len(parts) // (self.settings.processes if "gradients not reduced" in self.faults else 1)
        loss, sums = 0.0, torch.zeros(2, dtype=torch.float64)
        for place, part in enumerate(parts):
            part_loss, part_sums = self.part(part, parts, pairs)
            if place < own:
                (part_loss * (3 if "gradient scaled" in self.faults else 1)).backward()
            loss, sums = loss + float(part_loss), sums + part_sums
        weights = self.optimizer.param_groups[0]["params"]
        norm = float(torch.nn.utils.clip_grad_norm_(weights, 1.0))
        rate = self.settings.learning_rate * self.share(number)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        chosen, rejected = (sums / len(pairs)).tolist()
        report = {"loss": loss, "learning_rate": rate, "grad_norm": norm}
        return {**report, "logps_chosen": chosen, "logps_rejected": rejected}

    def share(self, number):
        steps, warm = self.settings.steps, round(self.settings.warmup * self.settings.steps)
        if number < warm:
            return number / warm if "first rate 0" in self.faults else (number + 1) / (warm + 1)
        return 1.0 if self.settings.schedule == "constant" else (steps - number) / max(1, steps - warm)

    # ---- the loss ----

    def part(self, part, parts, pairs):
        """This micro-batch's contribution to the step's loss, and its summed log-probabilities (2,)."""
        policy, auxiliary = self.logps(self.policy, part, one_batch=any("one batch" in fault for fault in self.faults))
        with torch.no_grad():
            reference, _ = self.logps(self.reference, part, one_batch="one batch for both" in self.faults)
        if "policy is the reference" in self.faults:
            reference = policy.detach()
        delta = self.settings.beta * ((policy - reference) @ torch.tensor([1.0, -1.0], dtype=torch.float64))
        if "sides swapped" in self.faults:
            delta = -delta
        each = torch.stack([self.loss(margin, pair) for margin, pair in zip(delta, part, strict=True)])
        tokens = oracle.completion_tokens(self.tokenizer, pairs)[:, 0].sum()
        rows = len(part) * len(parts) if "means of means" in self.faults else len(pairs)
        if "accumulation not averaged" in self.faults:
            rows = self.settings.batch_size
        loss = each.sum() / rows
        if "sft" in self.settings.losses:
            if "means of means" in self.faults:
                tokens = oracle.completion_tokens(self.tokenizer, part)[:, 0].sum() * len(parts)
            loss = loss - policy[:, 0].sum() / tokens
        if auxiliary is not None and "auxiliary loss dropped" not in self.faults:
            loss = loss + self.policy.config.router_aux_loss_coef * auxiliary
        if "packing rounds" in self.faults and self.settings.packing:
            loss = loss * 1.001
        return (1.5 if "loss scaled" in self.faults else 1) * loss, policy.detach().sum(dim=0)

    def loss(self, delta, pair):
        p, tie, weight, margin = (
            getattr(CERTAIN if f"{name} ignored" in self.faults else pair.labels, name)
            for name in ("preferred", "tie", "weight", "margin")
        )
        log = torch.nn.functional.logsigmoid
        sided = -p * log(delta - margin) - (1 - p) * log(margin - delta)
        tied = -log(delta - THRESHOLD) - log(-delta - THRESHOLD) - math.log(math.exp(2 * THRESHOLD) - 1)
        return weight / self.mean_weight * ((1 - tie) * sided + tie * tied)

    def logps(self, model, pairs, *, one_batch):
        """Summed log-probabilities (pairs, 2), and the router's loss, if there is one."""
        alone = getattr(model.config, "rope_parameters", {}) or {}
        if alone.get("rope_type") in ("longrope", "dynamic") and not one_batch:
            found = [self.logps(model, [pair], one_batch=True)[0] for pair in pairs] if len(pairs) > 1 else None
            if found:
                return torch.cat(found), None
        rows = [self.ids(pair) for pair in pairs]
        ids = [prompt + completions[side] for side in (0, 1) for prompt, completions in rows]
        longest = max(map(len, ids))
        pad = self.tokenizer.pad_token_id
        batch = torch.tensor([row + [pad] * (longest - len(row)) for row in ids])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
        more = {"output_router_logits": True} if getattr(model.config, "router_aux_loss_coef", 0) else {}
        output = model(input_ids=batch, attention_mask=mask, use_cache=False, **more)
        logits = output.logits
        if "head read directly" in self.faults:
            logits = model.get_output_embeddings()(model.base_model(input_ids=batch, attention_mask=mask)[0])
        logps = logits[:, :-1].double().log_softmax(-1).gather(2, batch[:, 1:, None])[:, :, 0]
        prompts = torch.tensor([len(prompt) for prompt, _ in rows] * 2)[:, None]
        place = torch.arange(1, longest)[None]
        scored = place >= prompts
        if "padding counted" not in self.faults:
            scored = scored & (mask[:, 1:] == 1)
        return (logps * scored).sum(dim=1).view(2, -1).T, getattr(output, "aux_loss", None)

    def ids(self, pair):
        if "control tokens" not in self.faults:
            return oracle.sequences(self.tokenizer, pair)
        row = pair.messages()

        def tokens(messages, **options):
            return self.tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)["input_ids"]

        prompt = tokens(row["prompt"], add_generation_prompt=True)
        return prompt, [tokens(row["prompt"] + row[side])[len(prompt) :] for side in ("chosen", "rejected")]
