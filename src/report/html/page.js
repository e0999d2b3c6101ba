"use strict";
// Colours: as the system has them, light, dark. Everything else works without.
{
  const button = document.getElementById("theme");
  const names = { "": "as the system has them", light: "light", dark: "dark" };
  const order = Object.keys(names);
  const show = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.textContent = "Colours: " + names[theme];
  };
  let at = 0;
  button.addEventListener("click", () => {
    at = (at + 1) % order.length;
    show(order[at]);
  });
  button.hidden = false;
}
