import base64
import hashlib
import re

import pytest
from jinja2 import UndefinedError

from ppbench.page.pictures import Picture, PictureRow, PictureStrip
from ppbench.page.rendering import content_policy, page_of


def test_the_policy_allows_the_script_of_the_page_alone():
    page = page_of("base.html.j2")
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].replace("&#39;", "'") == content_policy(script)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in content_policy(script)
    assert f"script-src 'sha256-{digest}'" in content_policy(script)


def test_a_value_that_is_not_given_is_an_error():
    with pytest.raises(UndefinedError):
        page_of("report.html.j2")


def test_below_a_picture_a_number_and_its_unit_stay_on_one_line():
    picture = Picture(0, "data:,", "Bag<b>", 0.93, True, False, "a bag")
    page = page_of("strip.html.j2", strip=PictureStrip((PictureRow("fog", "1", "Bag", (picture,)),), 28))
    assert "<bdi>Bag&lt;b&gt; 93\u00a0%</bdi>" in page
