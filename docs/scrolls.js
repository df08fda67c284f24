// What scrolls sideways can be reached by the keyboard: wide tables, which the theme wraps once the page is there, and
// long lines of code, which it takes out of the order again.
function reachable() {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap, pre > code")) {
    if (box.getAttribute("tabindex") !== "0") box.setAttribute("tabindex", "0")
  }
}
reachable()
new MutationObserver(reachable).observe(document.body, {
  attributeFilter: ["tabindex"], attributes: true, childList: true, subtree: true,
})
