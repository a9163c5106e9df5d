"""Events on their way to clients: which of them somebody may see, and in what form."""

from weft.modules.events.aggregations import Aggregations
from weft.modules.events.forms import EventForms, Viewer
from weft.modules.events.sight import Sight

__all__ = ["Aggregations", "EventForms", "Sight", "Viewer"]
