"""HTML to Markdown."""

import pytest

from ragwatch.errors import DocumentUnreadableError
from ragwatch.sources.html import html_to_markdown

PAGE = """<!DOCTYPE html>
<!-- a comment -->
<html><head><title>Pump guide</title><style>p { color: red }</style><script>alert("x")</script></head>
<body><nav><a href="/">Home</a></nav><div role="navigation">menu</div>
<h1>Pumps<a class="headerlink" href="#pumps" title="Permalink">¶</a></h1>
<p>Use a <b>big</b> pump_name * 2 for <a href="x.html">oil</a> &lt;hot&gt; &amp; cold.</p>
<h2>Steps</h2>
<ol><li>Open</li><li>Close<ul><li>slowly</li></ul></li></ol>
<div class="highlight-python"><pre>def f():

    return 1
</pre></div>
<pre><code class="language-js">x = 1</code></pre>
<table><tr><th>Part</th><th>No.</th></tr><tr><td>seal</td><td>7</td></tr></table>
<p hidden>secret 1</p><div style="color: red; Display : none">secret 2 <p hidden>secret 3</p></div>
<span aria-hidden="true">secret 4</span><noscript>secret 5</noscript><template>secret 6</template>
<form><input value="secret 7"><button>secret 8</button></form><svg><text>secret 9</text></svg>
<img src="data:image/png;base64,AAAA" alt="A seal">
<footer>The end</footer></body></html>
"""

MARKDOWN = """# Pumps

Use a **big** pump_name * 2 for [oil](x.html) <hot> & cold.

## Steps

1. Open
2. Close
   - slowly

```python
def f():

    return 1
```

```js
x = 1
```

| Part | No. |
| --- | --- |
| seal | 7 |

A seal

The end"""


def test_a_page_becomes_what_a_reader_sees() -> None:
    title, markdown = html_to_markdown(PAGE)
    assert title == "Pump guide"
    assert [line for line in markdown.split("\n") if line.strip()] == [line for line in MARKDOWN.split("\n") if line]


def test_conversion_is_deterministic() -> None:
    assert html_to_markdown(PAGE) == html_to_markdown(PAGE)


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        ("just <b>text", "just **text**"),
        ("<p>one<p>two", "one\n\ntwo"),
        ("<body style='display:none'>shown later", "shown later"),
        ("<ul><li>a</ul>", "- a"),
        ("<a name='x'></a>text", "text"),
        ("<title>only</title>", ""),
        ("", ""),
    ],
)
def test_fragments(html: str, markdown: str) -> None:
    assert html_to_markdown(html)[1] == markdown


def test_title_inside_a_drawing_is_not_the_pages() -> None:
    assert html_to_markdown("<head><title>Page</title></head><svg><title>Icon</title></svg>x")[0] == "Page"


def test_markup_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(DocumentUnreadableError, match="nested too deeply"):
        html_to_markdown("<div>" * 5000 + "text")
