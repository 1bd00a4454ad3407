"""What Python's collector of reference cycles looks at, and how often."""

import gc

_YOUNG_OBJECTS = 20_000


def settle_collector() -> None:
    """Leave out of all collections what exists now, and make them rarer: call it once, when the process is set up.

    Modules, routes and schemas, some hundred thousand objects, live as long as the process, and looking at them again
    and again found nothing. A request leaves few cycles behind, so it does no harm that they wait a little longer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
