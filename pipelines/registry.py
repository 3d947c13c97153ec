"""The pipelines there are. To add one, add an entry: the command line, `list` and `--help` take it from here."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.pipeline import Pipeline


@dataclass(frozen=True)
class Entry:
    """A pipeline: what it does in a line, where its job and its Pipeline are (imported late), and commands that show its use."""

    summary: str
    module: str
    job: str
    pipeline: str
    examples: str = ""
    internal: bool = False  # a stage of another pipeline: no command runs it, and `status` knows its artifacts

    def job_class(self) -> type:
        return getattr(import_module(self.module), self.job)

    def pipeline_class(self) -> type["Pipeline"]:
        return getattr(import_module(self.module), self.pipeline)


PIPELINES = {
    "rephrase": Entry(
        "documents -> rewrites in several styles, checked and mixed with the real text (WRAP)",
        "pipelines.rephrasing",
        "RephraseJob",
        "Rephrasing",
        """\
  gristmill run rephrase --config configs/rephrase/quickstart.yaml
  gristmill run rephrase input.path=docs/ styles=[medium,qa] mix.synthetic=2 \\
      engine.vllm.model=Qwen/Qwen2.5-0.5B-Instruct output.path=runs/first
  gristmill run rephrase input.path='s3://bucket/crawl/*.warc.gz' styles=[faq] prompt_order=text_first \\
      engine.openai.base_url=http://localhost:8000/v1 engine.openai.model=my-model output.path=s3://bucket/faq
""",
    ),
    "pack": Entry(
        "documents -> rows of tokens of one length, as training reads them",
        "pipelines.pack",
        "PackJob",
        "PackDocuments",
        """\
  gristmill run pack --config configs/pack/smoke.yaml
  gristmill run pack input.path=runs/first pack.tokenizer=Qwen/Qwen2.5-0.5B output.path=runs/packed
  gristmill run pack input.path=alpaca.jsonl input.text_column=null pack.template=alpaca \\
      pack.tokenizer=runs/student pack.window=1024 output.path=runs/sft
""",
    ),
    "score": Entry(
        "packed rows -> the loss of every token under reference models, beside the tokens (Rho-1)",
        "pipelines.score",
        "ScoreJob",
        "ScoreRows",
        """\
  gristmill run score --config configs/score/smoke.yaml
  gristmill run score data.path=runs/packed reference.models=[runs/reference] output.path=runs/scores
  gristmill run score data.path=runs/packed reference.models=[Qwen/Qwen2.5-0.5B] score.entropy=true output.path=s3://bucket/scores
  gristmill run score data.path=runs/small reference.openai.base_url=http://localhost:8000/v1 \\
      reference.openai.model=my-model reference.tokenizer=my/model output.path=runs/small-scores
""",
    ),
    "reference": Entry(
        "packed rows of clean text -> a reference model, trained with plain cross-entropy (Rho-1)",
        "pipelines.pretrain",
        "ReferenceJob",
        "Train",
        """\
  gristmill run reference --config configs/reference/smoke.yaml
  gristmill run reference data.path=runs/clean model.path=TinyLlama/TinyLlama_v1.1 optimizer.lr=5e-5 epochs=3 \\
      workers.count=8 output.path=s3://bucket/reference
""",
    ),
    "pretrain": Entry(
        "packed rows (and scores) -> a model, trained on all tokens or on the best of them (Rho-1)",
        "pipelines.pretrain",
        "PretrainJob",
        "Pretrain",
        """\
  gristmill run pretrain --config configs/pretrain/smoke.yaml
  gristmill run pretrain data.path=runs/packed data.scores=runs/scores loss.name=selective loss.keep=0.6 \\
      model.path=TinyLlama/TinyLlama_v1.1 optimizer.lr=8e-5 batch.rows=512 tokens=15e9 workers.count=32 output.path=s3://bucket/rho
  gristmill run pretrain data.path=runs/packed model.preset=llama-350m epochs=1 output.path=runs/plain
""",
    ),
    "dynamics": Entry(
        "checkpoints of a run -> how the loss of each token moved: classes, curves, a page (Rho-1)",
        "pipelines.dynamics",
        "DynamicsJob",
        "Dynamics",
        """\
  gristmill run dynamics data.path=runs/validation checkpoints=[runs/plain] output.path=runs/dynamics
  gristmill run dynamics data.path=runs/validation data.scores=runs/validation-scores loss.keep=0.6 \\
      checkpoints=[step-1000,step-2000,step-3000] output.path=s3://bucket/dynamics
""",
    ),
    "select": Entry(
        "records -> the rows worth training on, chosen by any of the selectors, side by side",
        "pipelines.select",
        "SelectJob",
        "Select",
        """\
  gristmill run select --config configs/select/smoke.yaml
  gristmill run select input.path=alpaca.jsonl selectors=[zip,k_center,ifd] budget.rows=10000 \\
      scorer.path=Qwen/Qwen2.5-0.5B output.path=runs/choice
  gristmill run select input.path=s3://bucket/pool/ selectors=[random,less,rds] target.path=tasks.jsonl budget.share=0.05 \\
      scorer.path=Qwen/Qwen2.5-0.5B output.path=s3://bucket/choice
  gristmill run select input.path=alpaca.jsonl selectors=[ifd,ifd:variant=as_released] budget.tokens=1000000 \\
      scorer.path=gpt2 output.path=runs/ifd
""",
    ),
    "compare": Entry(
        "records -> a student for each selector's choice, evaluated beside students on random rows",
        "pipelines.compare",
        "CompareJob",
        "Compare",
        """\
  gristmill run compare --config configs/compare/smoke.yaml
  gristmill run compare input.path=alpaca.jsonl evaluation.path=heldout.jsonl selectors=[zip,ifd,k_center] budget.rows=1000 \\
      scorer.path=Qwen/Qwen2.5-0.5B student.model.path=Qwen/Qwen2.5-0.5B student.epochs=3 output.path=runs/comparison
""",
    ),
    "pool": Entry("records -> examples to select from", "pipelines.pool", "PoolJob", "ReadPool", internal=True),
    "measure": Entry("examples -> a feature", "pipelines.measure", "MeasureJob", "MeasureRows", internal=True),
    "choose": Entry("examples and features -> a choice", "pipelines.choose", "ChooseJob", "ChooseRows", internal=True),
}
