// Set before the first paint, so that no page flashes in the other theme; hence no module, which would run after it.
const theme = localStorage.getItem("switchyard.theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
