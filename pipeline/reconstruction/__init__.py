"""From a static head that can be looked at from anywhere to what a rigged start needs: views, surface, parts, fit."""
