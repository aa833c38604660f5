// Show the titles of a figure's points at once, and to a finger as well as to a mouse. Without this
// script the browser shows them by itself, a little later.
document.addEventListener("DOMContentLoaded", () => {
  const box = Object.assign(document.createElement("div"), { id: "figure-tip", hidden: true });
  document.body.append(box);
  for (const point of document.querySelectorAll("svg.figure .tip")) {
    const title = point.querySelector("title");
    const text = title.textContent;
    title.remove(); // or the browser would show it twice
    point.setAttribute("aria-label", text);
    const show = (event) => {
      box.textContent = text;
      box.hidden = false;
      const right = document.documentElement.clientWidth - box.offsetWidth - 8;
      box.style.left = `${Math.max(8, Math.min(event.pageX + 12, right))}px`;
      box.style.top = `${event.pageY + 14}px`;
      event.stopPropagation();
    };
    point.addEventListener("pointerover", show);
    point.addEventListener("click", show);
    point.addEventListener("pointerout", () => (box.hidden = true));
  }
  document.addEventListener("click", () => (box.hidden = true));
});

// A table that is too wide for the screen is set smaller, in two steps, and where that is not enough
// row by row, each cell behind its column's name. On a narrow screen it is also set row by row where
// that makes it no longer, or not much longer than very small letters: columns of two words a line
// are hard to read.
const fit = () => {
  for (const table of document.querySelectorAll("article table.table")) {
    const set = (size) => {
      table.classList.remove("snug", "dense", "stacked");
      if (size) table.classList.add(size);
      return table.scrollWidth <= table.parentElement.clientWidth + 1;
    };
    const size = ["", "snug", "dense"].find(set);
    const rows = table.tBodies[0]?.rows ?? [];
    if (!rows.length || (size !== undefined && window.innerWidth > 600)) continue;
    const names = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent.trim());
    for (const row of rows)
      [...row.cells].forEach((cell, column) => (cell.dataset.column = names[column] ?? ""));
    const height = table.offsetHeight * (size === "dense" ? 1.6 : 1);
    set("stacked");
    if (size !== undefined && table.offsetHeight > height) set(size);
  }
};
document.addEventListener("DOMContentLoaded", fit);
window.addEventListener("load", fit); // once letters have their widths
window.addEventListener("resize", fit);
