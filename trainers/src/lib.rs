//! trainers
