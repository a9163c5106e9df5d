(function () {
  "use strict";
  var form = document.getElementById("login");
  var wrong = document.getElementById("wrong");
  var button = form.querySelector("button");
  var base = location.pathname.replace(/\/_matrix\/static\/client\/login\/?$/, "");

  // What the app adds to the address goes with the login, but nothing that says who logs in.
  function request() {
    var body = {};
    var truths = { true: true, false: false };
    new URLSearchParams(location.search).forEach(function (value, name) {
      body[name] = Object.prototype.hasOwnProperty.call(truths, value) ? truths[value] : value;
    });
    ["token", "user", "medium", "address"].forEach(function (name) { delete body[name]; });
    body.type = "m.login.password";
    body.identifier = { type: "m.id.user", user: form.elements.user.value.trim() };
    body.password = form.elements.password.value;
    return body;
  }

  function finish(response) {
    form.hidden = true;
    document.getElementById("done").hidden = false;
    if (window.matrixLogin && window.matrixLogin.onLogin) {
      window.matrixLogin.onLogin(response);
    }
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    wrong.textContent = "";
    button.disabled = true;
    fetch(base + "/_matrix/client/v3/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(request()),
    }).then(function (answer) {
      return answer.json().then(function (json) {
        if (answer.ok) {
          finish(json);
        } else {
          wrong.textContent = json.error || "The login was refused.";
        }
      });
    }).catch(function () {
      wrong.textContent = "The server could not be reached.";
    }).then(function () {
      button.disabled = false;
    });
  });
  form.hidden = false;
  form.elements.user.focus();
})();
