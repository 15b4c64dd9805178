"""The steps of a training: learn, evaluate, keep the best, leave a checkpoint."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from encoders.training.batches import Batches
from encoders.training.checkpoints import (
    optimizer_tensors,
    read_checkpoint,
    restore_optimizer,
    resumable_writing,
    write_checkpoint,
)
from encoders.training.curve import write_metrics
from encoders.training.data import TrainingData
from encoders.training.encoding import compute, tokenise
from encoders.training.history import Evaluation, Losses, Watcher
from encoders.training.losses import draw_companions, method_loss, sample_sample_loss
from encoders.training.network import RouterNetwork
from encoders.training.optimisation import learning_rate_share, set_learning_rates
from encoders.training.setting import Setting, above_frozen
from encoders.training.validation import accuracy
from encoders.training.workspace import Workspace

# On a GPU each look at a loss waits for it.
_STEPS_PER_REPORT = 5
_NETWORK = "network."


@dataclass(slots=True)
class Progress:
    """How far a training is."""

    step: int
    """Steps done."""
    seconds: float
    """Of all runs until the last checkpoint."""
    history: list[Evaluation]


def best_of(history: Sequence[Evaluation]) -> Evaluation:
    """The first of the best evaluations."""
    return max(history, key=lambda one: one.average)


class Loop:
    """Runs the steps that are left."""

    def __init__(
        self,
        setting: Setting,
        data: TrainingData,
        validation: TrainingData,
        space: Workspace,
        positive_tasks: Collection[str],
        watcher: Watcher,
    ) -> None:
        """Takes what is prepared, and tokenises the validation rows."""
        self._setting = setting
        self._accelerator = setting.accelerator
        self._parameters = setting.hyperparameters
        self._validation = validation
        self._space = space
        self._positive_tasks = positive_tasks
        self._watcher = watcher
        self._scores = torch.from_numpy(data.scores).float().to(self._accelerator.device)
        self._batches = Batches(
            setting.inputs.lengths,
            data.tasks,
            batch=self._parameters.batch,
            seed=self._parameters.seed,
            rows_per_task=self._parameters.rows_per_task,
        )
        limit = self._parameters.max_tokens
        judged = tokenise(validation.prompts, setting.source, limit)
        network = cast(RouterNetwork, setting.running_network())
        self._judged = above_frozen(
            network, self._parameters, judged, self._accelerator, beside=setting.inputs
        )

    def run(self) -> Progress:
        """Trains until the last step, or until nothing has got better for long.

        Raises:
            TrainingError: A checkpoint is damaged, or the network gives NaN.
        """
        progress = self._resume()
        began = time.monotonic() - progress.seconds
        if not progress.history:
            self._evaluate(progress, None, began)
        self._setting.network.train()
        self._watcher.stage("training")
        totals, counted = self._zero(), 0
        while progress.step < self._parameters.steps and not self._is_stale(progress.history):
            totals += self._learn(progress.step)
            counted += 1
            progress.step += 1
            last = progress.step == self._parameters.steps
            if progress.step % _STEPS_PER_REPORT == 0 or last:
                self._watcher.step(progress.step, self._parameters.steps, _means(totals, counted))
            if progress.step % self._parameters.evaluate_every == 0 or last:
                self._evaluate(progress, _means(totals, counted), began)
                totals, counted = self._zero(), 0
        return progress

    def _zero(self) -> Tensor:
        return torch.zeros(3, device=self._accelerator.device)

    def _is_stale(self, history: Sequence[Evaluation]) -> bool:
        if self._parameters.patience is None:
            return False
        since = len(history) - 1 - history.index(best_of(history))
        return since >= self._parameters.patience

    def _learn(self, step: int) -> Tensor:
        """One step of the optimiser; the three losses, as means over its batches."""
        optimizer, accumulate = self._setting.optimizer, self._parameters.accumulate
        set_learning_rates(optimizer, self._parameters, step)
        totals = self._zero()
        for part in range(accumulate):
            self._seed(step, part)
            with self._accelerator.accumulate(self._setting.network):
                losses = self._losses(step * accumulate + part)
                self._accelerator.backward(losses[0])
                if self._parameters.gradient_norm and self._accelerator.sync_gradients:
                    self._accelerator.clip_grad_norm_(
                        self._setting.network.parameters(), self._parameters.gradient_norm
                    )
                optimizer.step()
                optimizer.zero_grad()
            totals += losses.detach()
        return totals / accumulate

    def _seed(self, step: int, part: int) -> None:
        """Makes all that is random in a batch depend on its place alone, so that it can recur."""
        place = [self._parameters.seed, step, part, self._accelerator.process_index]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))

    def _losses(self, number: int) -> Tensor:
        """Total, method's own and sample-sample loss of a batch, (3,)."""
        turn = number * self._accelerator.num_processes + self._accelerator.process_index
        rows = self._batches.at(turn)
        inputs, mask = self._setting.inputs.batch(rows, self._accelerator.device)
        chosen = torch.from_numpy(rows).to(self._accelerator.device)
        vectors, cosines = self._setting.network(inputs, mask)
        scores = self._scores[chosen]
        logits = cosines / self._parameters.temperature
        own = method_loss(self._parameters, logits, scores, torch.rand_like(logits))
        sample = self._sample_loss(vectors, self._setting.groups[chosen])
        return torch.stack([own + self._parameters.sample_weight * sample, own, sample])

    def _sample_loss(self, vectors: Tensor, groups: Tensor) -> Tensor:
        if self._parameters.sample_weight == 0:
            return vectors.new_zeros(())
        draws = torch.rand(len(groups), len(groups), device=groups.device)
        companions = draw_companions(groups, draws, self._parameters.out_group_negatives)
        return sample_sample_loss(vectors, companions, self._parameters.sample_temperature)

    def _evaluate(self, progress: Progress, losses: Losses | None, began: float) -> None:
        """Judges the validation rows, and keeps the weights if they are the best by now."""
        outputs = compute(self._setting.network, self._judged, self._accelerator)
        found = accuracy(outputs.cosines, self._validation, self._positive_tasks)
        progress.seconds = time.monotonic() - began
        evaluation = Evaluation(
            step=progress.step,
            losses=losses,
            tasks=found.tasks,
            average=found.average,
            learning_rate_share=learning_rate_share(self._parameters, max(0, progress.step - 1)),
            seconds=progress.seconds,
        )
        progress.history.append(evaluation)
        best = best_of(progress.history)
        if self._accelerator.is_main_process:
            self._keep(progress, is_best=best is evaluation)
        self._watcher.evaluated(evaluation, best)

    def _keep(self, progress: Progress, *, is_best: bool) -> None:
        """Writes the best weights before the checkpoint that speaks of them."""
        weights = self._setting.running_network().state_dict()
        if is_best:
            write_checkpoint(self._space.best, weights, {"step": progress.step})
        with resumable_writing(self._space.metrics):
            write_metrics(self._space.metrics, progress.history)
        tensors = {f"{_NETWORK}{name}": tensor for name, tensor in weights.items()}
        scaler = self._accelerator.scaler
        state = {
            "step": progress.step,
            "seconds": progress.seconds,
            "history": [one.to_dict() for one in progress.history],
            "scaler": scaler and scaler.state_dict(),
        }
        moments = optimizer_tensors(self._setting.optimizer)
        write_checkpoint(self._space.checkpoint, {**tensors, **moments}, state)

    def _resume(self) -> Progress:
        """Goes back to the last checkpoint; to the beginning where there is none."""
        found = read_checkpoint(self._space.checkpoint)
        if found is None:
            return Progress(0, 0.0, [])
        weights = {
            name.removeprefix(_NETWORK): tensor
            for name, tensor in found.tensors.items()
            if name.startswith(_NETWORK)
        }
        self._setting.running_network().load_state_dict(weights)
        restore_optimizer(self._setting.optimizer, found.tensors)
        if self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(found.state["scaler"])
        history = [Evaluation.from_dict(one) for one in found.state["history"]]
        return Progress(found.state["step"], found.state["seconds"], history)


def _means(totals: Tensor, counted: int) -> Losses:
    total, own, sample = (totals / counted).tolist()
    return Losses(total, own, sample)
