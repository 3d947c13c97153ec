"""Training of causal language models on packed rows: in one process, or in many ranks of torch.distributed.

The trainer knows no method. A loss (operators/learn/losses) says which tokens count for how much; scores travel beside the rows.
Nothing here imports torch but `loop` and what it stands on, so a pipeline imports `config` at start and `loop` in its workers:

    shards = Shards(packing, rows, load, columns, eos)
    trainer = Trainer(config, build_loss(config.loss), shards, World.joined(), tokenizer_folder)
    trainer.restore(folder)                     # where there is a state to go on from
    for result in trainer.steps():              # StepResult; equal on all ranks, and all ranks must take every step
        trainer.evaluate(packed_table)          # Evaluation(loss in nats, tokens); all ranks together
        trainer.save_model(folder)              # a Hugging Face folder; all ranks call it, rank 0 writes
        trainer.save_moments(folder, since)     # of adapters: weights, moments, mean learning rate; likewise
        trainer.save_state(folder)              # weights, moments, position; likewise

`load(shard)` gives the packed table of a shard and the table of its scores (None where the loss reads none). It is called
from a thread of its own. `rows` are the rows of each shard, in the order of the artifact. A step that goes wrong raises
`Diverged` (results.py) on all ranks before any weight has changed.

config.py       what a run can be told
loop.py         the generator of steps
step.py         the passes of one step
objective.py    model and loss in one forward
optimizer.py    AdamW and the exact clip
schedule.py     the learning rate of a step
model.py        the model, from scratch or from a folder, and adapters (`lora.*`) that are trained in its place
parallel.py     ranks: sums, gathering, sharded parameters
data/           which row is the n-th sample; samples into batches
results.py      what comes of a step, or why it was not taken
checkpoint.py   saving
evaluation.py   loss on held-out rows
throughput.py   FLOPs of a step
"""
