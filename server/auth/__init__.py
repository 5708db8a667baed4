"""Authentication, authorization, rate limits and security headers."""
