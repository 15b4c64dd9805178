import doctest
import importlib
import pkgutil

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

import scoring
import scoring.kernels
from scoring.kernels.compilation import DatasetKernel

BRIEF = {"copy_rows"}


def compiled_kernels():
    found = {}
    for module in pkgutil.iter_modules(scoring.kernels.__path__, "scoring.kernels."):
        for value in vars(importlib.import_module(module.name)).values():
            kernel = value.compiled if isinstance(value, DatasetKernel) else value
            if isinstance(kernel, Dispatcher):
                found[kernel.py_func.__name__] = kernel
    return found


def request_kernels():
    return {
        name: kernel
        for name, kernel in compiled_kernels().items()
        if not kernel.py_func.__module__.endswith((".dataset", ".nearest"))
    }


def every_form(array):
    """The same numbers as callers may hand them over."""
    frozen = array.copy()
    frozen.flags.writeable = False
    padded = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    padded[..., ::2] = array
    unaligned = np.frombuffer(bytearray(b"-" + array.tobytes()), array.dtype, offset=1)
    return [
        array,
        frozen,
        padded[..., ::2],
        unaligned.reshape(array.shape),
        np.asfortranarray(array),
        array.astype(array.dtype.newbyteorder()),
        array.tolist(),
    ]


def test_warming_up_compiles_every_request_kernel_once():
    scoring.warm_up()
    assert {name: len(kernel.signatures) for name, kernel in request_kernels().items()} == (
        dict.fromkeys(request_kernels(), 1)
    )


def test_no_form_of_an_array_compiles_a_kernel_again():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, 8)).astype(np.float32)
    for form in every_form(vectors):
        answers = scoring.measure_answers(list("abcab"), form)
        scoring.estimate_alone(answers)
        for rows in every_form(rng.uniform(1, 2, (4, 3)).astype(np.float32)):
            scoring.estimate_local(answers, scoring.Neighbourhood(tuple("abc"), rows, None))
            for row in every_form(np.asarray(rows, np.float32)[0]):
                scoring.row_contrasts(row, 3)
    counts, sums = np.ones(3, np.int64), np.ones(3)
    for one, other in zip(every_form(counts), every_form(sums), strict=True):
        totals = scoring.Totals(tuple("abc"), 1, one, other, one, other, other, one)
        scoring.estimate_global(answers, totals)
        scoring.noise_of_totals(totals)
    for form in every_form(rng.normal(size=(6, 3, 8)).astype(np.float32)):
        scoring.fit_global(form)
        for present in every_form(rng.random((6, 3)) < 0.8):
            scoring.fit_global(form, present)
    for form in every_form(rng.normal(size=(6, 3, 2, 8)).astype(np.float32)):
        scoring.fit_samples(form)
    for form in every_form(vectors):
        scoring.nearest_prompts(form, 2)
    for form in every_form(np.arange(6, dtype=np.int64)[:, None]):
        scoring.fit_local(rng.normal(size=(6, 3, 8)), form)
    found = compiled_kernels()
    assert len(found) > 20
    assert {name: len(kernel.signatures) for name, kernel in found.items()} == (
        dict.fromkeys(found, 1)
    )


@pytest.mark.parametrize("name", sorted(compiled_kernels()))
def test_kernels_let_go_of_the_interpreter_unless_they_are_brief_and_keep_nan(name):
    options = compiled_kernels()[name].targetoptions
    assert options["nogil"] is (name not in BRIEF)
    assert options["fastmath"] == {"reassoc", "contract"}


def test_the_threading_layer_is_named():
    assert scoring.check_threading_layer() in {"tbb", "omp", "workqueue"}


def test_the_example_of_the_package_runs():
    failed, attempted = doctest.testmod(scoring)
    assert (failed, attempted > 4) == (0, True)
