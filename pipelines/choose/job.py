"""What decides a choice."""

from dataclasses import dataclass, field
from typing import Any

from cluster.session import ClusterConfig
from operators.examples.base import ExampleConfig
from operators.select.selectors.base import BudgetConfig
from operators.select.selectors.picking.ranking import GumbelConfig
from operators.settings import setting
from operators.storage.config import StorageConfig
from pipelines.run.output import Output


@dataclass
class ChooseJob:
    """What decides a choice. `selector` is written as in `selectors`, `settings` is its block."""

    selector: str = setting("", "the selector, with what differs from its block")
    settings: Any = setting(None, "the block of the selector")
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    gumbel: GumbelConfig = field(default_factory=GumbelConfig)
    distinct: bool = setting(False, "whether of rows with equal content only the earliest may be chosen")
    examples: ExampleConfig = field(default_factory=ExampleConfig)
    output: Output = field(default_factory=Output)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
