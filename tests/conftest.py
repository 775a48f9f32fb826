"""For all tests: strict JAX, slow tests, memory maps, float64, quick compiling, the course."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import pytest
from jax._src import compiler

from jaxnn.gradients import check

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # workers share one GPU
jax.config.update("jax_numpy_rank_promotion", "raise")

# Files and single tests that take long; ``pytest -m "not slow"`` leaves them out.
SLOW = (
    "catnet/cli/test_cli.py::test_an_answer_in_the_band_is_printed_as_unsure_with_any_threshold",
    "catnet/cli/test_cli.py::test_a_learning_rate_too_high_keeps_the_last_good_parameters",
    "catnet/cli/test_cli.py::test_a_platform_that_is_not_there_is_one_line",
    "catnet/cli/test_cli.py::test_a_run_folder_has_all_it_promises",
    "catnet/cli/test_cli.py::test_closed_streams_are_like_dev_null",
    "catnet/cli/test_cli.py::test_every_way_of_training_learns",
    "catnet/cli/test_cli.py::test_gradcheck_of_a_new_network_and_of_a_trained_one",
    "catnet/cli/test_cli.py::test_held_out_images_are_those_that_no_photo_training_sees",
    "catnet/cli/test_cli.py::test_predict_answers_what_it_can_and_names_the_rest",
    "catnet/cli/test_cli.py::test_predict_json_has_the_promised_keys",
    "catnet/cli/test_cli.py::test_predict_reads_stdin_and_has_a_model_of_its_own",
    "catnet/cli/test_cli.py::test_the_same_seed_gives_the_same_model",
    "catnet/cli/test_cli.py::test_the_seeds_at_both_ends_are_different_runs",
    "catnet/cli/test_cli.py::test_the_threshold_decides_from_itself_on",
    "catnet/cli/test_photo.py",
    "catnet/cli/test_photo_classes.py",
    "catnet/course/test_cat_photos.py",
    "catnet/course/test_published.py",
    "catnet/data/test_duplicates_and_split.py::test_exactly_the_near_duplicates_are_found",
    "catnet/data/test_sample.py::test_the_folder_holds_every_image_that_is_drawn",
    "catnet/evaluation/test_plots.py",
    "catnet/evaluation/test_saliency.py",
    "catnet/images/test_corpus.py",
    "catnet/models/test_resnet.py",
    "catnet/test_compile_cache.py",
    "catnet/training",
    "catnet_bench",
    "jaxnn/kernels",
    "jaxnn_lecture/test_chapters.py",
    "jaxnn/layers/test_norms.py",
    "jaxnn/layers/test_windows.py",
    "jaxnn/test_every_layer.py::test_a_planted_mistake_is_found_in_every_gradient",
    "jaxnn/test_every_layer.py::test_a_program_for_batches_of_any_size_can_be_exported",
    "jaxnn/test_every_layer.py::test_backward_of_one_example_and_under_vmap_add_up_to_the_stack",
    "jaxnn/test_every_layer.py::test_bfloat16_in_bfloat16_out_and_float32_gradients_of_parameters",
    "jaxnn/test_every_layer.py::test_float64_where_x64_is_on",
    "jaxnn/test_every_layer.py::test_hand_makes_jax_grad_use_the_rule",
    "jaxnn/test_every_layer.py::test_jit_with_all_optimizations_changes_nothing",
    "jaxnn/test_every_layer.py::test_no_examples_give_no_answers_and_gradients_of_zero",
    "jaxnn/test_every_layer.py::test_one_example_a_stack_and_vmap_agree",
    "jaxnn/test_losses.py::test_finite_and_right_at_the_ends_and_at_zero",
    "jaxnn/test_losses.py::test_infinite_logits_have_the_cost_and_gradient_of_the_limit",
    "jaxnn/test_meshes.py",
    "jaxnn/test_numbers.py",
    "jaxnn/test_strict_modes.py",
    "jaxnn/training/test_devices.py",
    "jaxnn/training/test_fit.py::test_a_state_restored_leaf_by_leaf_goes_on_to_the_same_bits",
    "jaxnn/training/test_fit.py::test_rates_of_every_type_make_the_same_descent",
    "jaxnn/training/test_lecture.py::test_loop_vmap_and_stack_agree_on_cost_and_gradient",
    "jaxnn/training/test_optimizers.py",
    "jaxnn/training/test_pytrees.py::test_parameters_in_lists_train_as_those_in_tuples",
    "jaxnn/training/test_row_space.py",
    "test_examples.py::test_every_line_runs",
)

MAPS = Path("/proc/self/maps")  # on Linux: a line for each memory map of this process
MOST_MAPS = 30_000  # Linux allows a process 65,530

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of ``SLOW``."""
    tests = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(tests):
            file = item.path.relative_to(tests)
            function = getattr(item, "originalname", item.name)
            names = {f"{file.as_posix()}::{function}", *(part.as_posix() for part in file.parents)}
            if not names.union([file.as_posix()]).isdisjoint(SLOW):
                item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="module")
def few_memory_maps() -> Iterator[None]:
    """Forget the compiled programs before a process has as many memory maps as Linux allows.

    XLA maps memory for every program, and where no map is left, the process ends with a
    segmentation fault: all tests in one process compile more programs than that.
    """
    yield
    if MAPS.exists() and len(MAPS.read_bytes().splitlines()) > MOST_MAPS:
        jax.clear_caches()


@pytest.fixture
def x64() -> Iterator[None]:
    """The test runs with JAX's float64 switched on."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def compiled_quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the test compiles runs slower: for formulas, where compiling takes most of the time.

    XLA does what it always does, but LLVM does not optimize the machine code, and XLA's older
    emitters of loops write it, which takes half of the time (jaxlib 0.10.2).
    """

    def get_options(*args: Any, **kwargs: Any) -> Any:
        options = get_compile_options(*args, **kwargs)
        if jax.default_backend() == "cpu":
            options.env_option_overrides = [
                *options.env_option_overrides,
                ("xla_cpu_use_fusion_emitters", "False"),
            ]
        return options

    get_compile_options = compiler.get_compile_options
    monkeypatch.setattr(compiler, "get_compile_options", get_options)  # JAX has no public way
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All gradient checks of the test share their programs; usually each check compiles its own."""
    monkeypatch.setattr(check, "compile_rule", functools.lru_cache(check.compile_rule))


@pytest.fixture(scope="session")
def course_folder() -> Path:
    """The folder with the course's two h5 files; tests that need it skip where it is absent."""
    folder = SHARED_DATA / "catvnoncat"
    if not folder.is_dir():
        pytest.skip("needs the course's photographs in ../shared/data/catvnoncat")
    return folder
