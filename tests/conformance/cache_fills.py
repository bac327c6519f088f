"""What every cache guarantees of fills: when it may say that a key was never written."""

from __future__ import annotations

from conformance.cache_base import CacheBase, key, view
from playerstate.ports.cache import Cache


class CacheFillsSuite(CacheBase):
    def test_filled_player_is_complete(self, cache: Cache) -> None:
        """After a fill every key is known: those with a view, and all others as unwritten."""
        cache.put([view(3)])
        assert cache.get(key(state_key="rank")) is None
        token = cache.begin_fill("anna")
        cache.fill("anna", [view(3), view(1, state_key="guild")], token)
        assert cache.get_player("anna") == ({"gold": view(3), "guild": view(1, state_key="guild")}, True)
        assert cache.get(key()) == view(3)
        assert cache.get(key(state_key="rank")) == view(version="", state_key="rank", value="null")
        assert cache.get(key("bert", "rank")) is None

    def test_player_without_views_is_filled(self, cache: Cache) -> None:
        """That a player has nothing at all can be known, too."""
        cache.fill("anna", [], cache.begin_fill("anna"))
        assert cache.get_player("anna") == ({}, True)
        assert cache.get(key()) == view(version="", value="null")

    def test_begun_fill_says_nothing(self, cache: Cache) -> None:
        """A fill that is under way, or was given up, makes nothing known."""
        cache.begin_fill("anna")
        assert cache.get(key()) is None
        assert cache.get_player("anna") == ({}, False)

    def test_complete_player_stays_complete(self, cache: Cache) -> None:
        """Views that are written later are part of what is known."""
        cache.fill("anna", [view(1)], cache.begin_fill("anna"))
        cache.put([view(1, state_key="rank"), view(2)])
        assert cache.get_player("anna") == ({"gold": view(2), "rank": view(1, state_key="rank")}, True)

    def test_view_written_during_a_fill_stays(self, cache: Cache) -> None:
        """What is put between reading the store and filling is not overwritten by what was read."""
        token = cache.begin_fill("anna")
        cache.put([view(2), view(1, state_key="rank")])
        cache.fill("anna", [view(1)], token)
        assert cache.get_player("anna") == ({"gold": view(2), "rank": view(1, state_key="rank")}, True)

    def test_loss_during_a_fill(self, cache: Cache) -> None:
        """If the player was lost since the fill began, a view written meanwhile may be too: it is not complete."""
        token = cache.begin_fill("anna")
        cache.put([view(1, state_key="rank")])
        self.lose_player(cache, "anna")
        cache.fill("anna", [view(1)], token)
        assert cache.get_player("anna") == ({"gold": view(1)}, False)
        assert cache.get(key(state_key="rank")) is None

    def test_loss_after_which_another_fill_began(self, cache: Cache) -> None:
        """A fill that began before the loss does not pass for the one that began after it."""
        lost = cache.begin_fill("anna")
        self.lose_player(cache, "anna")
        token = cache.begin_fill("anna")
        cache.fill("anna", [], lost)
        assert not cache.get_player("anna").complete
        cache.fill("anna", [], token)
        assert cache.get_player("anna").complete

    def test_loss_of_a_complete_player(self, cache: Cache) -> None:
        """What is lost is a miss again, and a view written afterwards does not make the player complete."""
        cache.fill("anna", [view(1)], cache.begin_fill("anna"))
        self.lose_player(cache, "anna")
        cache.put([view(1, state_key="rank")])
        assert cache.get(key()) is None
        assert cache.get_player("anna") == ({"rank": view(1, state_key="rank")}, False)

    def test_fills_at_the_same_time(self, cache: Cache) -> None:
        """Two who fill at once do not defeat each other, whoever is first, and filling again changes nothing."""
        early, late = cache.begin_fill("anna"), cache.begin_fill("anna")
        cache.fill("anna", [view(2)], early)
        assert cache.get_player("anna") == ({"gold": view(2)}, True)
        cache.fill("anna", [view(1)], late)
        cache.fill("anna", [view(2)], early)
        assert cache.get_player("anna") == ({"gold": view(2)}, True)

    def test_unknown_token(self, cache: Cache) -> None:
        """Views of a fill that was never announced are taken as any others."""
        cache.fill("anna", [view(1)], "made up")
        assert cache.get_player("anna") == ({"gold": view(1)}, False)

    def test_fill_beyond_one_batch(self, cache: Cache) -> None:
        """A player may have more keys than are written at once."""
        views = [view(1, state_key=f"key {n}") for n in range(1100)]
        cache.fill("anna", views, cache.begin_fill("anna"))
        assert cache.get_player("anna") == ({v.state_key: v for v in views}, True)

    def test_deletion_ends_completeness(self, cache: Cache) -> None:
        """Where something had to be deleted, the player is read anew, also by those who were filling it just then."""
        cache.fill("anna", [view(1), view(1, state_key="rank")], cache.begin_fill("anna"))
        token = cache.begin_fill("anna")
        assert cache.repair(key(), "eu-west-1:1", None)
        assert cache.get(key()) is None
        cache.fill("anna", [], token)
        assert cache.get_player("anna") == ({"rank": view(1, state_key="rank")}, False)

    def test_replacement_keeps_completeness(self, cache: Cache) -> None:
        """A view in place of another one leaves no gap."""
        cache.fill("anna", [view(5)], cache.begin_fill("anna"))
        assert cache.repair(key(), "eu-west-1:5", view(4))
        cache.replace([view(3, state_key="rank")])
        assert cache.get_player("anna") == ({"gold": view(4), "rank": view(3, state_key="rank")}, True)
