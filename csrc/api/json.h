// Just enough JSON writing for the descriptions that the C ABI hands out.
#ifndef PYVOC_API_JSON_H_
#define PYVOC_API_JSON_H_

#include <cmath>
#include <cstdio>
#include <string>

namespace pyvoc::api {

class JsonWriter {
 public:
  JsonWriter& open(char bracket) {  // '{' or '['
    separate();
    text_ += bracket;
    first_ = true;
    return *this;
  }
  JsonWriter& close(char bracket) {
    text_ += bracket;
    first_ = false;
    return *this;
  }
  JsonWriter& key(const std::string& name) {
    separate();
    quote(name);
    text_ += ": ";
    first_ = true;
    return *this;
  }
  JsonWriter& value(const std::string& s) {
    separate();
    quote(s);
    return *this;
  }
  JsonWriter& value(const char* s) { return value(std::string(s)); }
  JsonWriter& value(bool b) { return raw(b ? "true" : "false"); }
  JsonWriter& value(int i) { return raw(std::to_string(i)); }
  JsonWriter& value(unsigned long long u) { return raw(std::to_string(u)); }
  JsonWriter& value(long long i) { return raw(std::to_string(i)); }
  JsonWriter& value(double x) {
    if (!std::isfinite(x)) return raw("null");
    char buffer[48];
    std::snprintf(buffer, sizeof buffer, "%.9g", x);
    // What is neither digit, sign nor exponent is the decimal point as the program's locale has it,
    // of several bytes perhaps.
    std::string s;
    bool point = false;
    for (const char* c = buffer; *c != '\0'; ++c) {
      const bool own = (*c >= '0' && *c <= '9') || *c == '-' || *c == '+' || *c == 'e';
      if (own || !point) s += own ? *c : '.';
      point = !own;
    }
    return raw(s);
  }
  template <typename T>
  JsonWriter& field(const std::string& name, const T& x) {
    return key(name).value(x);
  }
  const std::string& text() const { return text_; }

 private:
  JsonWriter& raw(const std::string& s) {
    separate();
    text_ += s;
    return *this;
  }
  void separate() {
    if (!first_) text_ += ", ";
    first_ = false;
  }
  void quote(const std::string& s) {
    text_ += '"';
    for (const char c : s) {
      if (c == '"' || c == '\\') {
        text_ += '\\';
        text_ += c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        char buffer[8];
        std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c));
        text_ += buffer;
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }

  std::string text_;
  bool first_ = true;
};

}  // namespace pyvoc::api
#endif  // PYVOC_API_JSON_H_
