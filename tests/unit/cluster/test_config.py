"""Addresses and names of clusters."""

from itertools import combinations

import pytest

from tests.cluster.config import MAX_INSTANCE, MAX_NODES, load
from tests.cluster.errors import ClusterError


def test_instances_share_no_address_port_name_or_folder() -> None:
    for one, other in combinations([load(instance) for instance in range(MAX_INSTANCE + 1)], 2):
        assert not one.network.overlaps(other.network)
        assert not {one.local_port(number) for number in range(100)} & {
            other.local_port(number) for number in range(100)
        }
        assert (one.name, one.bridge, one.state) != (other.name, other.bridge, other.state)
        assert one.bridge != other.bridge
        assert not one.state.is_relative_to(other.state)


def test_every_part_lies_in_the_one_network_and_no_two_overlap() -> None:
    config = load(0, MAX_NODES)
    parts = [config.node_network, config.service_network, config.pod_network]
    assert all(part.subnet_of(config.network) for part in parts)
    assert not any(one.overlaps(other) for one, other in combinations(parts, 2))


def test_nodes_have_addresses_of_their_own() -> None:
    config = load(2, MAX_NODES)
    assert [node.name for node in config.nodes] == [f"node{number}" for number in range(1, MAX_NODES + 1)]
    assert not any(one.pods.overlaps(other.pods) for one, other in combinations(config.nodes, 2))
    assert all(node.pods.subnet_of(config.pod_network) for node in config.nodes)
    addresses = {config.host, *(node.address for node in config.nodes)}
    assert len(addresses) == MAX_NODES + 1
    assert all(address in config.node_network for address in addresses)


def test_interface_names_fit_the_kernels_15_characters() -> None:
    config = load(MAX_INSTANCE, MAX_NODES)
    assert all(len(f"{node.interface}p") <= 15 for node in config.nodes)


@pytest.mark.parametrize(("instance", "nodes"), [(-1, 1), (MAX_INSTANCE + 1, 1), (0, 0), (0, MAX_NODES + 1)])
def test_numbers_out_of_range_are_refused(instance: int, nodes: int) -> None:
    with pytest.raises(ClusterError, match="What to do: Choose"):
        load(instance, nodes)


def test_folders_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIJOB_DEV_STATE", "/srv/state")
    monkeypatch.setenv("XDG_CACHE_HOME", "/srv/cache")
    config = load(3)
    assert str(config.state) == "/srv/state/3"
    assert str(config.cache) == "/srv/cache/cijob-dev"
