"""What every cache guarantees to those who watch a player."""

from __future__ import annotations

from itertools import islice

import pytest

from conformance.cache_base import CacheBase, key, view
from conformance.cache_writes import ODD_NAMES, ODD_VALUES
from conformance.suite import run_together
from playerstate.core.model import View
from playerstate.errors import Unavailable
from playerstate.ports.cache import Cache

AT_ONCE_S = 0.01
HEARD_WITHIN_S = 10.0


class CacheWatchSuite(CacheBase):
    def test_views_are_heard_in_the_order_of_writing(self, cache: Cache) -> None:
        """Every view that is written is heard, once, in order, however it was written, from the call of `watch` on."""
        watch = cache.watch("anna", timeout_s=HEARD_WITHIN_S)
        written = [view(1), view(1, state_key="rank"), view(3), view(2), view(1, value='"mended"'), view(4)]
        cache.put(written[:2])
        cache.put(written[2:3])
        cache.replace(written[3:4])
        cache.repair(key(), "eu-west-1:2", written[4])
        cache.fill("anna", written[5:], cache.begin_fill("anna"))
        assert list(islice(watch, 6)) == written

    def test_only_what_is_written_is_heard(self, cache: Cache) -> None:
        """Stale and concurrent views, and those of other players, are not heard."""
        cache.put([view(5)])
        watch = cache.watch("anna", timeout_s=HEARD_WITHIN_S)
        cache.put([view(5), view(4), view(version="us-east-1:1"), view(9, player_id="anna2"), view(9, player_id="ann")])
        cache.fill("anna", [view(3)], cache.begin_fill("anna"))
        cache.put([view(6)])
        assert next(watch) == view(6)

    def test_silence(self, cache: Cache) -> None:
        """None comes whenever the time passes without a view, and views afterwards."""
        watch = cache.watch("anna", timeout_s=AT_ONCE_S)
        assert [next(watch), next(watch)] == [None, None]
        cache.put([view(1)])
        assert next(one for one in watch if one) == view(1)
        assert next(watch) is None

    def test_several_watch_one_player(self, cache: Cache) -> None:
        """Everyone who watches hears everything, also when others have ceased to."""
        watches = [cache.watch("anna", timeout_s=HEARD_WITHIN_S) for _ in range(3)]
        cache.put([view(1)])
        assert [next(watch) for watch in watches] == [view(1)] * 3
        del watches[1]
        cache.put([view(2)])
        assert [next(watch) for watch in watches] == [view(2)] * 2

    @pytest.mark.parametrize("value", ODD_VALUES)
    def test_values_are_opaque(self, cache: Cache, value: str) -> None:
        """What is heard is what was written, whatever it looks like."""
        watch = cache.watch("anna", timeout_s=HEARD_WITHIN_S)
        cache.put([view(version="a:1,b:2", value=value)])
        assert next(watch) == view(version="a:1,b:2", value=value)

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_names_are_opaque(self, cache: Cache, name: str) -> None:
        """A player and a key of any name can be watched."""
        watch = cache.watch(name, timeout_s=HEARD_WITHIN_S)
        odd = view(player_id=name, state_key=name)
        cache.put([view(player_id="anna"), odd])
        assert next(watch) == odd

    def test_order_among_writers(self, cache: Cache) -> None:
        """However many write at once, versions are heard rising, and the last one is heard."""
        newest = 200

        def write() -> None:
            for n in range(1, newest + 1):
                cache.put([view(n)])

        def listen() -> list[View | None]:
            heard: list[View | None] = []
            while not heard or heard[-1] not in (view(newest), None):
                heard.append(next(watch))
            return heard

        watch = cache.watch("anna", timeout_s=HEARD_WITHIN_S)
        *_, heard = run_together(write, write, listen)
        assert heard == [view(n) for n in range(1, newest + 1)]

    def test_broken_connection_is_told(self, cache: Cache) -> None:
        """When its connection breaks a watch ends with `Unavailable`; a new one hears again."""
        watch = cache.watch("anna", timeout_s=AT_ONCE_S)
        assert next(watch) is None
        self.break_watches(cache)
        with pytest.raises(Unavailable):
            list(islice(watch, 1000))
        again = cache.watch("anna", timeout_s=HEARD_WITHIN_S)
        cache.put([view(1)])
        assert next(again) == view(1)
