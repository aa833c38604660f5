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

// A table that is too wide for the screen is set smaller, and where that is not enough row by row,
// each cell behind its column's name.
const fit = () => {
  for (const table of document.querySelectorAll("article table.table")) {
    const tooWide = () => table.scrollWidth > table.parentElement.clientWidth + 1;
    table.classList.remove("dense", "stacked");
    if (!tooWide()) continue;
    table.classList.add("dense");
    if (!tooWide()) continue;
    table.classList.remove("dense");
    const names = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent.trim());
    for (const row of table.tBodies[0].rows)
      [...row.cells].forEach((cell, column) => (cell.dataset.column = names[column] ?? ""));
    table.classList.add("stacked");
  }
};
document.addEventListener("DOMContentLoaded", fit);
window.addEventListener("resize", fit);
