"use strict";
(function () {
  // Sorting: each heading of a table becomes a button.
  function key(row, column) {
    var cell = row.cells[column];
    var number = cell.getAttribute("data-sort");
    return number === null ? cell.textContent.trim() : Number(number);
  }
  function compare(a, b) {
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
  }
  document.querySelectorAll("table.sortable").forEach(function (table) {
    var headings = Array.prototype.slice.call(table.tHead.rows[0].cells);
    headings.forEach(function (heading, column) {
      if (!heading.textContent.trim()) return;
      var button = document.createElement("button");
      button.type = "button";
      while (heading.firstChild) button.appendChild(heading.firstChild);
      heading.appendChild(button);
      button.addEventListener("click", function () {
        var up = heading.getAttribute("aria-sort") !== "ascending";
        headings.forEach(function (other) { other.removeAttribute("aria-sort"); });
        heading.setAttribute("aria-sort", up ? "ascending" : "descending");
        var body = table.tBodies[0];
        var rows = Array.prototype.slice.call(body.rows).filter(function (row) { return row.className !== "row-total"; });
        var last = Array.prototype.slice.call(body.rows).filter(function (row) { return row.className === "row-total"; });
        rows.sort(function (a, b) { return (up ? 1 : -1) * compare(key(a, column), key(b, column)); });
        rows.concat(last).forEach(function (row) { body.appendChild(row); });
      });
    });
  });
  // Tooltips: the titles of marks and cells, at once and for touch too.
  var tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  document.body.appendChild(tip);
  function words(mark) {
    var inner = mark.querySelector(":scope > title");
    return inner ? inner.textContent : mark.getAttribute("data-title");
  }
  document.querySelectorAll(".fig td[title]").forEach(function (cell) {
    cell.setAttribute("data-title", cell.title);
    cell.removeAttribute("title");
  });
  document.addEventListener("pointerover", function (event) {
    var mark = event.target.closest && event.target.closest(".fig [data-value], .fig [data-title]");
    var text = mark && words(mark);
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    var box = mark.getBoundingClientRect();
    var left = Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 6);
    tip.style.left = Math.max(6, left) + window.scrollX + "px";
    tip.style.top = box.bottom + 6 + window.scrollY + "px";
  });
  document.addEventListener("keydown", function (event) { if (event.key === "Escape") tip.hidden = true; });
  // Leaderboards: a field that hides the models whose name has other letters.
  document.querySelectorAll("[data-filter]").forEach(function (place) {
    var label = document.createElement("label");
    var field = document.createElement("input");
    field.type = "search";
    label.className = "filter";
    label.append(place.getAttribute("data-filter") + " ", field);
    place.appendChild(label);
    field.addEventListener("input", function () {
      var wanted = field.value.trim().toLowerCase();
      document.querySelectorAll("tr[data-model]").forEach(function (row) {
        row.hidden = row.getAttribute("data-model").toLowerCase().indexOf(wanted) < 0;
      });
    });
  });
  // On paper there is nothing to unfold.
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (one) { one.open = true; });
  });
})();
