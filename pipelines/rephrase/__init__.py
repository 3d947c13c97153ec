"""Documents into rewrites in several styles, checked and mixed with the real text (WRAP).

job.py         what it can be told
preflight.py   what is checked before anything is spent
pipeline.py    what a run must know of it
dag.py         the pipeline as a Ray Data DAG; read this first
rows.py        the rows that it makes, and why they leave
card.py        what it tells people
"""

from pipelines.run.entry import Entry

ENTRIES = {
    "rephrase": Entry(
        "documents -> rewrites in several styles, checked and mixed with the real text (WRAP)",
        "pipelines.rephrase.job:RephraseJob",
        "pipelines.rephrase.pipeline:Rephrasing",
        """\
  gristmill run rephrase --config configs/rephrase/quickstart.yaml
  gristmill run rephrase input.path=docs/ styles=[medium,qa] mix.synthetic=2 \\
      engine.vllm.model=Qwen/Qwen2.5-0.5B-Instruct output.path=runs/first
  gristmill run rephrase input.path='s3://bucket/crawl/*.warc.gz' styles=[faq] prompt_order=text_first \\
      engine.openai.base_url=http://localhost:8000/v1 engine.openai.model=my-model output.path=s3://bucket/faq
""",
    ),
}
