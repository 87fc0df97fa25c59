from outgate.settings import Settings
from outgate.xds import denials, pipeline


def test_whatever_decides_about_a_request_decides_about_a_websocket_too() -> None:
    (chain,) = pipeline.http_chain(Settings(), "/log", denials.TUNNELLED)
    manager = chain["typed_config"]
    (upgrade,) = manager["upgrade_configs"]
    first, *others = upgrade["filters"]
    assert first["name"] == "envoy.filters.http.set_filter_state"
    assert others == manager["http_filters"]
