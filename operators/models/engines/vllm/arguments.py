"""Which vLLM settings are taken where the user gave none."""

import math
import os
import platform
from pathlib import Path
from typing import Any

KV_CACHE_SHARE = 0.25  # of the memory that is free, on a machine without a GPU
MOST_KV_CACHE = 4 << 30  # bytes
CPU_INFO = Path("/proc/cpuinfo")
NUMA_NODES = Path("/sys/devices/system/node")
MULTIPROCESSING = "VLLM_ENABLE_V1_MULTIPROCESSING"  # vLLM's own: unless it is 0, the core is in a process apart
SIZES = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")

# Arguments that decide how fast an engine goes and what it needs, not what a model says. All others are taken to matter.
PLACEMENT = frozenset(
    """
    tensor_parallel_size pipeline_parallel_size data_parallel_size enable_expert_parallel distributed_executor_backend
    gpu_memory_utilization kv_cache_memory_bytes num_gpu_blocks_override block_size cpu_offload_gb
    max_num_seqs max_num_batched_tokens enable_prefix_caching async_scheduling
    enforce_eager compilation_config cudagraph_capture_sizes optimization_level attention_backend
    download_dir max_parallel_loading_workers use_tqdm_on_load disable_log_stats hf_token
    """.split()
)


def settle_environment() -> None:
    """Keep vLLM's banners and the usage report back, errors are still told, and let threads wait without spinning.

    To be called before vLLM and torch are imported, which read it then. What the user has set stays.
    """
    for name, value in {
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        "PYTHONWARNINGS": "ignore::FutureWarning",
        # Threads that spin lose most of their throughput where another process, or the core's own threads, want the processor.
        "OMP_WAIT_POLICY": "PASSIVE",
        # A forked child is never unpickled, so a lifeline would not reach it.
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    }.items():
        os.environ.setdefault(name, value)


def lacks_avx2() -> bool:
    """Tell whether this is an x86 processor without AVX2, on which vLLM's CPU build would die of an illegal opcode."""
    if platform.machine() not in ("x86_64", "AMD64") or not CPU_INFO.exists():
        return False
    return " avx2" not in CPU_INFO.read_text()


def ranks(arguments: dict[str, Any]) -> int:
    """Count the devices (one process each) that one engine spreads over; a size that is null is 1."""
    return math.prod(arguments.get(name) or 1 for name in SIZES)


def runs_in_process(arguments: dict[str, Any]) -> bool:
    """Tell whether an engine on the processor has its core in a thread: `with_defaults` or the user has settled that."""
    return ranks(arguments) == 1 and os.environ.get(MULTIPROCESSING, "1") == "0"


def with_defaults(arguments: dict[str, Any], *, on_cpu: bool) -> dict[str, Any]:
    """Return vLLM's engine arguments with ours under them; sets environment variables for the processes to come.

    A parallel size that is null is left out, since vLLM takes numbers only.
    """
    defaults: dict[str, Any] = {"disable_log_stats": True, "use_tqdm_on_load": False}
    if ranks(arguments) > 1:
        # Inside a Ray actor vLLM would take its Ray executor, whose placement group outlives the engine.
        defaults["distributed_executor_backend"] = "mp"
    if on_cpu:
        defaults |= _cpu_defaults(arguments)
    given = {name: value for name, value in arguments.items() if name not in SIZES or value is not None}
    return defaults | given


def _cpu_defaults(arguments: dict[str, Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "enforce_eager": True,  # compiling took 10 to 20 s more and gave no more tokens per second
        "block_size": 32,  # vLLM's 128 would let short prompts share no prefix at all
        # Rewinding a request's seed between the pieces of its prompt exists on CUDA only; here it kills the engine.
        "enable_chunked_prefill": False,
    }
    if not os.environ.get("VLLM_CPU_KVCACHE_SPACE") and "gpu_memory_utilization" not in arguments:
        import psutil

        defaults["kv_cache_memory_bytes"] = min(MOST_KV_CACHE, int(psutil.virtual_memory().available * KV_CACHE_SHARE))
    _share_the_processor(arguments)
    return defaults


def _share_the_processor(arguments: dict[str, Any]) -> None:
    """Let the threads float, and spare the processes of core and worker.

    vLLM would pin every engine of a machine to the same cores. OMP_NUM_THREADS bounds the cores (Ray sets it to the num_cpus
    of the actor). On several NUMA nodes, or where the user binds, vLLM's own way stays: only there is its pinning worth a
    process.
    """
    one_node = len(list(NUMA_NODES.glob("node[0-9]*"))) <= 1
    chosen = "VLLM_CPU_OMP_THREADS_BIND" in os.environ or "distributed_executor_backend" in arguments
    if one_node and not chosen and ranks(arguments) == 1:
        os.environ.setdefault(MULTIPROCESSING, "0")
