"use strict";
document.documentElement.classList.add("scripted");
for (const figure of document.querySelectorAll(".slider")) {
  const images = figure.querySelectorAll("img");
  const input = figure.querySelector("input");
  const caption = figure.querySelector("output");
  const show = () => {
    const chosen = images[input.valueAsNumber];
    for (const image of images) image.hidden = image !== chosen;
    caption.textContent = chosen.dataset.caption;
    input.setAttribute("aria-valuetext", chosen.dataset.caption);
  };
  input.addEventListener("input", show);
  show();
}
