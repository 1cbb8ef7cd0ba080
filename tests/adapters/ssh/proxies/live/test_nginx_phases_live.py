"""Which limit a request meets: what the deck says is what a real nginx does with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from localproxy import Backends
from nginxhost import Nginx, let_through, on, rows, started

from control.model import Mode

HTTP = """\
upstream first { server 127.0.0.1:@A@; }
upstream second { server 127.0.0.1:@B@; }
upstream third { server 127.0.0.1:@C@; }
map $http_x_client $slow { default $http_x_client; }
limit_req_zone $slow zone=wide:1m rate=1000r/s;
limit_req_zone $slow zone=tried:1m rate=1r/m;
limit_req_zone $slow zone=fallen:1m rate=1r/m;
limit_req_zone $slow zone=busy:1m rate=1r/m;
limit_req_zone $slow zone=left:1m rate=1r/m;
limit_req_zone $slow zone=answered:1m rate=1r/m;
limit_req_zone $slow zone=taken:1m rate=1r/m;
limit_req_zone $slow zone=static:1m rate=1r/m;
limit_req_zone $slow zone=outer:1m rate=1r/m;
limit_req_zone $slow zone=script:1m rate=1r/m;
limit_req_zone $slow zone=closed:1m rate=1r/m;
limit_req_zone $slow zone=after:1m rate=1r/m;
limit_req_zone $slow zone=indexed:1m rate=1r/m;
server {
  listen 127.0.0.1:@PORT@; server_name llama.test; root @FOLDER@/root;
  limit_req zone=static;
  location /limited-first { limit_req zone=wide burst=50 nodelay; try_files /none @tried; }
  location @tried { limit_req zone=tried; proxy_pass http://first; }
  location /free-first { limit_req zone=wide burst=50 nodelay; limit_req_dry_run off; proxy_pass http://first; }
  location /busy { limit_req zone=busy; error_page 429 = @spare; proxy_pass http://first; }
  location @spare { proxy_pass http://second; }
  location /left { limit_req zone=left; rewrite ^/left/x$ /free-first last; proxy_pass http://first; }
  location /answered { limit_req zone=answered; error_page 418 = @taken; return 418; }
  location @taken { limit_req zone=taken; proxy_pass http://third; }
  location /app { limit_req zone=wide burst=50 nodelay; try_files $uri /run.php?$args; }
  location ~ \\.php$ { limit_req zone=script; proxy_pass http://second; }
}
server {
  listen 127.0.0.1:@OTHER@; server_name llama.test;
  location /fallen { try_files /none @unlimited-before; }
  location @unlimited-before { limit_req zone=fallen; proxy_pass http://first; }
  location /outer { limit_req zone=outer; location /outer/in { proxy_pass http://second; } }
  location /closed {
    if ($http_x_other) { return 200; }
    limit_req zone=closed;
    if ($http_x_client) { proxy_pass http://third; }
  }
  location /guarded { auth_request /_auth; try_files /none @after; }
  location = /_auth { internal; limit_req zone=wide burst=50 nodelay; proxy_pass http://first; }
  location @after { limit_req zone=after; proxy_pass http://second; }
  location /folder { root @FOLDER@/root; index start.run; limit_req zone=wide burst=50 nodelay; }
  location ~ \\.run$ { limit_req zone=indexed; proxy_pass http://third; }
}
"""


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, backends: Backends) -> Iterator[Nginx]:
    folder: Path = tmp_path_factory.mktemp("phases")
    (folder / "root").mkdir()
    (folder / "root" / "file").write_text("here\n")
    (folder / "root" / "folder").mkdir()
    (folder / "root" / "folder" / "start.run").write_text("here\n")
    host = started(folder, HTTP, a=backends.port("a"), b=backends.port("b"), c=backends.port("c"))
    yield host
    host.stop()


async def test_after_try_files_the_limits_of_the_place_before_have_been_evaluated(nginx: Nginx) -> None:
    assert await let_through(nginx.port, "/limited-first", 5) == 5
    _, limits = await rows(nginx)
    assert limits["tried"].mode is Mode.OFF and not limits["tried"].bindings
    assert any("not at all in" in note and "try_files" in note for note in limits["tried"].notes)
    assert {"first", "second"} <= on(limits["wide"])


async def test_a_place_without_limits_leaves_them_to_where_try_files_leads(nginx: Nginx) -> None:
    assert await let_through(nginx.other, "/fallen", 5) == 1
    _, limits = await rows(nginx)
    assert limits["fallen"].mode is Mode.ENFORCED and on(limits["fallen"]) == {"first"}


async def test_a_path_that_try_files_leads_to_is_looked_for_as_nginx_does(nginx: Nginx) -> None:
    assert await let_through(nginx.port, "/app", 5, "script") == 5
    assert await let_through(nginx.port, "/x.php", 5, "script") == 1
    _, limits = await rows(nginx)
    assert on(limits["script"]) == {"second"}
    assert any("try_files of server llama.test:" in note and "location /app" in note for note in limits["script"].notes)


async def test_what_a_limit_refuses_may_go_on_by_error_page(nginx: Nginx) -> None:
    assert await let_through(nginx.port, "/busy", 5) == 5
    _, limits = await rows(nginx)
    assert on(limits["busy"]) == {"first"}
    assert any("refuses with 429" in note and "@spare" in note for note in limits["busy"].notes)


async def test_a_rewrite_leaves_the_limit_of_the_place_it_leaves(nginx: Nginx) -> None:
    assert await let_through(nginx.port, "/left/x", 5) == 5
    assert await let_through(nginx.port, "/left/y", 5) == 1
    _, limits = await rows(nginx)
    assert on(limits["left"]) == {"first"}
    assert any("the rewrite of" in note and "location /free-first" in note for note in limits["left"].notes)


async def test_return_comes_before_the_limiter_and_error_page_after_it_meets_one(nginx: Nginx) -> None:
    assert await let_through(nginx.port, "/answered", 5) == 1
    _, limits = await rows(nginx)
    assert limits["answered"].mode is Mode.OFF and any("answers with return" in n for n in limits["answered"].notes)
    assert limits["taken"].mode is Mode.ENFORCED and on(limits["taken"]) == {"third"}


async def test_what_a_server_does_without_a_location_is_a_place(nginx: Nginx) -> None:
    assert await let_through(nginx.port, "/file", 5) == 1
    _, limits = await rows(nginx)
    assert f"server llama.test:{nginx.port}" in on(limits["static"])
    assert limits["static"].mode is Mode.ENFORCED


async def test_nested_locations_and_if_inherit(nginx: Nginx) -> None:
    assert await let_through(nginx.other, "/outer/in", 5) == 1
    assert await let_through(nginx.other, "/closed", 5) == 1
    routes, limits = await rows(nginx)
    assert "second" in on(limits["outer"]) and on(limits["closed"]) == {"third"}
    assert any("/closed if" in match for match in routes["third"].matches)


async def test_what_a_subrequest_has_met_its_request_has_met(nginx: Nginx) -> None:
    assert await let_through(nginx.other, "/guarded", 5) == 5
    _, limits = await rows(nginx)
    assert limits["after"].mode is Mode.OFF and any("try_files" in note for note in limits["after"].notes)


async def test_an_index_file_is_another_place(nginx: Nginx) -> None:
    assert await let_through(nginx.other, "/folder/", 5, "index") == 5
    assert await let_through(nginx.other, "/x.run", 5, "index") == 1
    _, limits = await rows(nginx)
    assert any("index of" in note and "/folder" in note for note in limits["indexed"].notes)


async def test_two_servers_of_one_name_are_told_apart_by_their_port(nginx: Nginx) -> None:
    routes, _ = await rows(nginx)
    assert f"llama.test:{nginx.other} /outer/in" in routes["second"].matches
    assert f"llama.test:{nginx.port} ~ \\.php$" in routes["second"].matches
